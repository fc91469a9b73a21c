"""What several kinds of targets say alike."""

rows_and_progress = (
    "rows and progress go back together, so what is missing is applied again, from the queue or, where that was trimmed, from the"
    " source"
)
parked_late = "dead letters and progress rows carry its time"
