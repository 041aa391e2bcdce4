"""The command line: it reads arguments, calls the tasks, and talks. Nothing heavy is imported before a verb runs."""
