"""The parts of the dashboard's screens: each shows what it is given and emits messages."""
