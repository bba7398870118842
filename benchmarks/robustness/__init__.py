"""What hostile files, kills and surroundings do, and whether everything installs."""
