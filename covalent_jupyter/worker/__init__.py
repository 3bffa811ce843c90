"""Where user code runs: runners, the pool that feeds them, and what is round the user's function."""
