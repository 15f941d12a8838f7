-- A finding may be about a whole input, none of whose rows was counted.
COMMENT ON TABLE ledger_findings IS 'What a reader should know of: oddities of counted rows, and counters that an input lacks.';
