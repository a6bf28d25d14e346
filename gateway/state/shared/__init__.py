"""What all replicas share: sums that add up, answers waiting for their truth, leases, alarms."""
