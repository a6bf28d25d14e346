"""Memory of what callers asked: an attacker's queries are alike, an honest one's are not. Times are arguments."""
