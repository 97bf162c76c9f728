"""What a build is worth: accuracy, agreement with fp32, robustness, speed, and the report."""
