"""Programs that a person would write by hand for the usage tables, and nothing else.

Each is started anew, reads the landing file, keeps the newest version of each event, writes the
quarter-hourly and daily tables of usage to where they survive it, and ends. They check no row, keep
no raw data, and need not know about files that came before.
"""
