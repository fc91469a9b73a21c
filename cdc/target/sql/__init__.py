"""What the SQL targets share: names, types, values, the plan of a table, and the tables that Lockstep itself keeps.

An adapter brings its driver, its bulk path and its table of errors.
"""
