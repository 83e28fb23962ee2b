"""Processes, files and folders of the operating system."""
