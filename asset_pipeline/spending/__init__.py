"""What attempts cost, and what ways of making pictures would cost. Reads and reckons; decides nothing."""
