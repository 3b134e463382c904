"""What steps of the solver cost and bring: schedules and shortcuts against a reference of 1,000 steps."""
