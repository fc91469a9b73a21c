"""Drivers of other projects' readers and sinks: ours and small; the projects themselves come from their registries."""
