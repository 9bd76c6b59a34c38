"""Bytes from elsewhere: HTTP behind a guard at the socket, files below the folders that the operator named."""
