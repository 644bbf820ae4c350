"""The server of the Model Context Protocol: a face over the doors' tools. It needs the extra `mcp`."""
