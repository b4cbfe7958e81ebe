"""Published claims and what became of them: printed numbers, verdicts, provenance, the audit's checks."""
