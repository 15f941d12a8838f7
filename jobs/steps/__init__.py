"""What several commands do: begin early, count, commit, check and publish."""
