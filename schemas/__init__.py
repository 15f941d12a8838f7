"""What a flow, an aggregate, a catalog and a setting are. Pure: no files, no network, no clock."""
