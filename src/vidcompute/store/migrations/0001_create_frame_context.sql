-- Everything that is true about jobs, and the row of every frame.
--
-- Ids are UUIDv7 made by the application; people see them as `job_<32 hex digits>`, and Postgres accepts
-- those digits without hyphens: WHERE id = '0199f3a1c2d47b6e8a5f0c1d2e3f4a5b'. Times come from the
-- application's clock. The migration runner wraps each file in a transaction.

CREATE TABLE IF NOT EXISTS tenants (
    id text PRIMARY KEY CHECK (id ~ '^[A-Za-z0-9_-]{1,64}$'),
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE tenants IS 'Owners of everything else; one, `default`, until keys tell callers apart';
INSERT INTO tenants (id) VALUES ('default') ON CONFLICT DO NOTHING;

CREATE TABLE IF NOT EXISTS jobs (
    id uuid PRIMARY KEY,
    tenant_id text NOT NULL REFERENCES tenants,
    name text NOT NULL,
    spec jsonb NOT NULL,
    status text NOT NULL DEFAULT 'queued'
        CHECK (status IN ('queued', 'running', 'succeeded', 'failed', 'canceled')),
    phase text,
    priority text NOT NULL CHECK (priority IN ('high', 'normal', 'low')),
    attempt int NOT NULL DEFAULT 0,
    failures int NOT NULL DEFAULT 0,
    max_attempts int NOT NULL,
    dead_letter boolean NOT NULL DEFAULT false,
    node text,
    progress jsonb NOT NULL DEFAULT '{}',
    source jsonb,
    source_key text,
    source_sha256 text,
    parts jsonb NOT NULL DEFAULT '{}',
    renditions jsonb NOT NULL DEFAULT '[]',
    error jsonb,
    warnings jsonb NOT NULL DEFAULT '[]',
    tags jsonb NOT NULL DEFAULT '{}',
    plan jsonb,
    plan_hash text,
    published text,
    created_at timestamptz NOT NULL,
    started_at timestamptz,
    finished_at timestamptz,
    next_attempt_at timestamptz,
    heartbeat_at timestamptz,
    cancel_requested_at timestamptz,
    revision bigint NOT NULL DEFAULT 1,
    last_seq bigint NOT NULL DEFAULT 0,
    CHECK ((plan IS NULL) = (plan_hash IS NULL)),
    CHECK (NOT dead_letter OR status = 'failed')
) WITH (
    -- Progress and heartbeats rewrite a running job's row about twice a second. Free space on its page keeps
    -- those updates off the indexes (HOT), and frequent small vacuums keep the table small.
    fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 200
);
COMMENT ON TABLE jobs IS 'The truth about every job; the queue carries ids only';
COMMENT ON COLUMN jobs.spec IS 'domain.job.JobSpec as JSON; never changed';
COMMENT ON COLUMN jobs.attempt IS 'Counts starts, and is the fence: a worker''s write says AND attempt = its own';
COMMENT ON COLUMN jobs.failures IS 'Failures that max_attempts limits; pre-emption and node loss are not counted';
COMMENT ON COLUMN jobs.node IS 'Coordinator of the current attempt';
COMMENT ON COLUMN jobs.progress IS 'The last progress report, overwritten, never logged';
COMMENT ON COLUMN jobs.source IS 'What the probe measured, for people';
COMMENT ON COLUMN jobs.source_key IS 'Blob key of the original';
COMMENT ON COLUMN jobs.plan IS 'domain.plan.Plan as JSON; immutable once set';
COMMENT ON COLUMN jobs.published IS 'Blob prefix of the result; readers follow this pointer only';
COMMENT ON COLUMN jobs.revision IS 'Bumped with every visible change: the ETag';
COMMENT ON COLUMN jobs.last_seq IS 'Sequence number of the last event; taken under the row lock, so without gaps';

CREATE INDEX IF NOT EXISTS jobs_newest ON jobs (tenant_id, created_at DESC, id DESC);
CREATE INDEX IF NOT EXISTS jobs_unfinished ON jobs (id) WHERE status IN ('queued', 'running');
CREATE INDEX IF NOT EXISTS jobs_dead ON jobs (tenant_id, created_at DESC, id DESC) WHERE dead_letter;
CREATE INDEX IF NOT EXISTS jobs_tags ON jobs USING gin (tags jsonb_path_ops);
CREATE INDEX IF NOT EXISTS jobs_source ON jobs (tenant_id, source_sha256) WHERE source_sha256 IS NOT NULL;

CREATE INDEX IF NOT EXISTS jobs_upload ON jobs (tenant_id, (spec ->> 'input')) WHERE spec ->> 'input' LIKE 'upload:%';

CREATE TABLE IF NOT EXISTS job_counts (
    tenant_id text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    status text NOT NULL,
    shard smallint NOT NULL,
    jobs bigint NOT NULL,
    PRIMARY KEY (tenant_id, status, shard)
) WITH (fillfactor = 50);
COMMENT ON TABLE job_counts IS 'How many jobs are in each status, kept by a trigger: counting a million rows at every poll costs too much';
COMMENT ON COLUMN job_counts.shard IS 'Spreads writers over rows; readers sum. One row would make every job wait for every other';

CREATE OR REPLACE FUNCTION count_jobs() RETURNS trigger LANGUAGE plpgsql
-- The application role writes the counts through this function only.
SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO job_counts AS c (tenant_id, status, shard, jobs)
    SELECT d.tenant_id, d.status, pg_backend_pid() % 8, sum(d.delta)
    FROM (
        SELECT OLD.tenant_id, OLD.status, -1 AS delta WHERE TG_OP <> 'INSERT'
        UNION ALL
        SELECT NEW.tenant_id, NEW.status, 1 WHERE TG_OP <> 'DELETE'
    ) AS d
    GROUP BY d.tenant_id, d.status
    -- One order for all, or two jobs that swap statuses deadlock.
    ORDER BY d.tenant_id, d.status
    ON CONFLICT (tenant_id, status, shard) DO UPDATE SET jobs = c.jobs + EXCLUDED.jobs;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER count_new AFTER INSERT OR DELETE ON jobs FOR EACH ROW EXECUTE FUNCTION count_jobs();
CREATE OR REPLACE TRIGGER count_moved AFTER UPDATE OF status ON jobs
FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION count_jobs();

CREATE TABLE IF NOT EXISTS idempotency_keys (
    tenant_id text NOT NULL REFERENCES tenants,
    key text NOT NULL,
    body_hash text NOT NULL,
    job_id uuid NOT NULL REFERENCES jobs ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, key)
);
COMMENT ON TABLE idempotency_keys IS 'A repeated submission finds its first job here';
CREATE INDEX IF NOT EXISTS idempotency_keys_job ON idempotency_keys (job_id);
CREATE INDEX IF NOT EXISTS idempotency_keys_expiry ON idempotency_keys (expires_at);

CREATE TABLE IF NOT EXISTS attempts (
    tenant_id text NOT NULL,
    job_id uuid NOT NULL REFERENCES jobs ON DELETE CASCADE,
    attempt int NOT NULL,
    node text,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    outcome text CHECK (outcome IN ('succeeded', 'failed', 'canceled', 'released', 'lost')),
    problem jsonb,
    counted boolean,
    PRIMARY KEY (job_id, attempt)
);
COMMENT ON TABLE attempts IS 'Every start of a job and how it ended';
COMMENT ON COLUMN attempts.outcome IS 'NULL while it runs; `lost` when a later attempt took over';
COMMENT ON COLUMN attempts.problem IS 'errors.Problem with its evidence: argv, exit code, last lines of stderr';
COMMENT ON COLUMN attempts.counted IS 'Whether it counts against max_attempts';

CREATE TABLE IF NOT EXISTS tasks (
    tenant_id text NOT NULL,
    job_id uuid NOT NULL REFERENCES jobs ON DELETE CASCADE,
    key text NOT NULL,
    kind text NOT NULL,
    attempt int NOT NULL,
    state text NOT NULL DEFAULT 'done' CHECK (state = 'done'),
    result jsonb NOT NULL,
    finished_at timestamptz NOT NULL,
    PRIMARY KEY (job_id, key)
);
COMMENT ON TABLE tasks IS 'A row says that a task is done and its output verified; a later attempt skips it';
COMMENT ON COLUMN tasks.key IS 'Name within the job, such as chunk/0';

CREATE TABLE IF NOT EXISTS events (
    tenant_id text NOT NULL,
    job_id uuid NOT NULL REFERENCES jobs ON DELETE CASCADE,
    seq bigint NOT NULL,
    at timestamptz NOT NULL,
    kind text NOT NULL CHECK (kind IN ('state', 'log', 'end')),
    data jsonb NOT NULL,
    PRIMARY KEY (job_id, seq)
);
COMMENT ON TABLE events IS 'What happened to a job, numbered from 1 without gaps; streams resume by seq';

CREATE TABLE IF NOT EXISTS frame_context (
    job_id uuid NOT NULL REFERENCES jobs ON DELETE CASCADE,
    pts bigint NOT NULL,
    ts_ms bigint NOT NULL,
    anchor_pts bigint NOT NULL,
    frame_no int NOT NULL,
    scene_no int NOT NULL,
    similarity real NOT NULL CHECK (similarity BETWEEN 0 AND 1),
    tenant_id text NOT NULL,
    PRIMARY KEY (job_id, pts),
    CONSTRAINT frame_context_number UNIQUE (job_id, frame_no)
);
COMMENT ON TABLE frame_context IS 'One row per source frame, in presentation order; its text is its anchor''s frame_description';
COMMENT ON COLUMN frame_context.pts IS 'Presentation time in the source stream''s time base';
COMMENT ON COLUMN frame_context.ts_ms IS 'Presentation time from the first frame, rounded to milliseconds';
COMMENT ON COLUMN frame_context.anchor_pts IS 'The described frame that this one resembles most, in its own scene';
COMMENT ON COLUMN frame_context.similarity IS 'Likeness to the anchor; 1 for the anchor itself';

CREATE TABLE IF NOT EXISTS frame_description (
    tenant_id text NOT NULL,
    job_id uuid NOT NULL REFERENCES jobs ON DELETE CASCADE,
    kind text NOT NULL,
    anchor_pts bigint NOT NULL,
    model text NOT NULL,
    prompt_version int NOT NULL,
    desc_no int,
    start_ms bigint,
    end_ms bigint,
    source text NOT NULL,
    status text NOT NULL,
    context jsonb NOT NULL,
    prompt_tokens bigint NOT NULL DEFAULT 0,
    completion_tokens bigint NOT NULL DEFAULT 0,
    cost_usd numeric(14, 6) NOT NULL DEFAULT 0,
    ocr_cpu_s real NOT NULL DEFAULT 0,
    extra jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    -- Text on screen is indexed unstemmed, so that names and numbers are found as they are written, and
    -- stemmed, so that a query which mixes it with the summary finds both in one configuration.
    tsv tsvector NOT NULL GENERATED ALWAYS AS (
        setweight(to_tsvector('english', coalesce(context ->> 'summary', '')), 'A')
        || setweight(jsonb_to_tsvector('english', coalesce(context -> 'objects', '[]'), '["string"]'), 'B')
        || setweight(jsonb_to_tsvector('english', coalesce(context -> 'actions', '[]'), '["string"]'), 'C')
        || setweight(jsonb_to_tsvector('english', coalesce(context -> 'ocr_text', '[]'), '["string"]'), 'D')
        || setweight(jsonb_to_tsvector('simple', coalesce(context -> 'ocr_text', '[]'), '["string"]'), 'D')
    ) STORED,
    PRIMARY KEY (job_id, kind, anchor_pts, model, prompt_version),
    CHECK (end_ms >= start_ms),
    CHECK ((desc_no IS NULL) = (start_ms IS NULL) AND (desc_no IS NULL) = (end_ms IS NULL))
) WITH (fillfactor = 85);
COMMENT ON TABLE frame_description IS 'What is said of an anchor; written as replies land, so a retry asks only for what is missing';
COMMENT ON COLUMN frame_description.desc_no IS 'Number in presentation order, from 0; NULL until frames point here; never a key';
COMMENT ON COLUMN frame_description.start_ms IS 'First and last frame that point at this anchor';
COMMENT ON COLUMN frame_description.source IS 'Who said it: `local` facts, or the provider';
COMMENT ON COLUMN frame_description.ocr_cpu_s IS 'CPU seconds spent on reading text';
CREATE INDEX IF NOT EXISTS frame_description_text ON frame_description USING gin (tsv);

CREATE TABLE IF NOT EXISTS uploads (
    id text PRIMARY KEY CHECK (id ~ '^[A-Za-z0-9_-]{1,64}$'),
    tenant_id text NOT NULL REFERENCES tenants,
    name text NOT NULL,
    key text NOT NULL,
    size_bytes bigint,
    sha256 text,
    complete boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL,
    completed_at timestamptz
);
COMMENT ON TABLE uploads IS 'Files handed in by callers; `upload:<id>` names one as a job''s input';
CREATE INDEX IF NOT EXISTS uploads_age ON uploads (created_at);

CREATE OR REPLACE VIEW frame_context_full AS
SELECT
    f.job_id, f.tenant_id, f.frame_no, f.pts, f.ts_ms, f.scene_no, f.similarity, f.anchor_pts,
    d.desc_no, d.start_ms, d.end_ms, d.kind, d.source, d.model, d.prompt_version, d.status, d.context
FROM frame_context AS f
LEFT JOIN LATERAL (
    SELECT * FROM frame_description AS x
    WHERE x.job_id = f.job_id AND x.kind = 'visual' AND x.anchor_pts = f.anchor_pts
    -- Described twice, by another model or prompt: the latest word counts.
    ORDER BY x.created_at DESC, x.prompt_version DESC, x.model
    LIMIT 1
) AS d ON true;
COMMENT ON VIEW frame_context_full IS 'Every frame with the description it points at';

-- The service itself works as vidcompute_app: it may read and write rows, and change no table. A server whose
-- administrator did not make that role (or an external database used with one login) runs without it.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'vidcompute_app') THEN
        GRANT USAGE ON SCHEMA public TO vidcompute_app;
        GRANT SELECT, INSERT, UPDATE, DELETE ON
            tenants, jobs, idempotency_keys, attempts, tasks, events, frame_context, frame_description, uploads
            TO vidcompute_app;
        GRANT SELECT ON job_counts, frame_context_full TO vidcompute_app;
    END IF;
END $$;
