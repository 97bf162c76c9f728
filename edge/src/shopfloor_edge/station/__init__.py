"""The inspection process: a camera over a line in, verdicts and the line's permission out."""
