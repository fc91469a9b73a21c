"""Programs that are measured, each in a process of its own: a job as JSON on stdin, a report as JSON in stdout's last line."""
