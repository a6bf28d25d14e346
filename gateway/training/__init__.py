"""From a config to a bundle: data, splits, fitting, cuts, report. Nothing here runs while serving but `bundle`."""
