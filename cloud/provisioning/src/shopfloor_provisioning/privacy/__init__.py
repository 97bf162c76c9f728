"""What a site does with people's data, as documents made from its settings. Not legal advice."""
