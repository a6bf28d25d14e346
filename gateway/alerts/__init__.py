"""Alarms of drift to those who should hear of them: a log line, an OpenTelemetry span and event, signed webhooks."""
