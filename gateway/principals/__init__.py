"""Who calls: by API key, by a trusted header, else by address; and what a marked one gets."""
