"""`pushrelay exec`: puts a command on the record without getting in its way."""
