"""How often the drift monitor alarms without drift, how soon with it, and what it costs."""
