"""Programs for the people who work on this repository; they are not part of the package."""
