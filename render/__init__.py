"""Values, tables and the KPI board as text for people and for machines. Pure."""
