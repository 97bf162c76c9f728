"""Process: looks at this device and says what to mend; changes nothing."""
