"""The reference interpreter, gradient checks and checks of passes: used by tests, by `check=True`, and to name what fails."""
