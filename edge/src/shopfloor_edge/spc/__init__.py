"""Statistical process control: has the defect rate, or a machine, really changed?"""
