"""What several kinds of targets say alike."""

ROWS_AND_PROGRESS = (
    "rows and progress go back together, so what is missing is applied again, from the queue or, where that was trimmed, from the"
    " source"
)
PARKED_LATE = "dead letters and progress rows carry its time"
