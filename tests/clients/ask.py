"""Asks with the Python client: sys.argv has the server's address, a key and a zone."""

import json
import sys

from agentstats_client import AuthenticatedClient
from agentstats_client.api.usage import usage_by_agent
from agentstats_client.models import AgentUsage, ErrorBody

_, base_url, key, tz = sys.argv
client = AuthenticatedClient(base_url, token=key, prefix="", auth_header_name="X-API-Key")
agents = usage_by_agent.sync(client=client, tz=tz, days=30)
if isinstance(agents, ErrorBody):
    raise SystemExit(agents.error_code)
assert isinstance(agents, list)
rows: list[AgentUsage] = agents
print(json.dumps([[agent.agent_id, agent.total_tokens] for agent in rows]))
