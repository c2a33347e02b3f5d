-- Runs in progress are found without looking through the ledger of months.
CREATE INDEX sync_runs_in_progress ON sync_runs (resource) WHERE outcome = 'running';
