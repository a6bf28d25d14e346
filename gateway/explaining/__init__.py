"""Why a row was allowed, flagged or rejected: what each piece of evidence says of it."""
