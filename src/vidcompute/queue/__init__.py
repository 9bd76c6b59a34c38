"""Who should look: job ids with priority, leases, back-off and dead letters. Postgres says what is true."""
