"""What `Target.findings` finds out: `obstacles` judges tables, the other files ask one kind of server each.

To add a finding: write it in the file that it belongs to, and give its subject a line in docs/doctor.md. All of it only reads.
"""
