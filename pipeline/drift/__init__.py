"""What a night of curation is held against: profiles, changes between them, and gates."""
