// Asks in the zone of wherever it runs, as a page in a browser does.
import createClient from "openapi-fetch";
import type { components, paths } from "./api.ts";

declare const process: { argv: string[] };

const [, , baseUrl, key] = process.argv;
const client = createClient<paths>({ baseUrl, headers: { "X-API-Key": key } });
const tz: string = Intl.DateTimeFormat().resolvedOptions().timeZone;
const { data, error } = await client.GET("/api/stats/usage/by-agent", {
  params: { query: { tz, days: 30, format: "json" } },
});
if (error) throw new Error(error.error_code);
const agents: components["schemas"]["AgentUsage"][] = data;
console.log(JSON.stringify(agents.map((agent) => [agent.agent_id, agent.total_tokens])));
