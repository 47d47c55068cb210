"""What several test modules use, by subject; fixtures are in conftest.py."""
