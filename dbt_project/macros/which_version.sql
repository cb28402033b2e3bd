{# Which version of a row counts: the one rule, for events and for reference rows. It is an ORDER BY
   of which the first row counts: the version recorded last; of those recorded at the same time the
   one that says most, which is the one with most tokens, then with the fewest nulls; and at last the
   one whose content has the greater hash, so that the order in which they came does not matter.

   Rendered by dbt, and with bare Jinja by retention, which must know a customer by the same row. #}
{% macro newest_first(stream) -%}
    {%- set recorded_at = 'updated_at' -%}
    {%- set tokens = [] -%}
    {%- set added = [] -%}
    {%- if stream == 'customers' -%}
        {%- set contents = ['customer_name', 'tier', 'retention_days'] -%}
        {%- set added = ['created_at', 'time_zone'] -%}
    {%- elif stream == 'tiers' -%}
        {%- set contents = [
            'retention_days', 'default_retention_days', 'max_retention_days', 'daily_token_budget',
            'requests_per_minute', 'max_running_agents', 'agent_hour_usd',
        ] -%}
    {%- elif stream == 'agents' -%}
        {%- set contents = ['agent_type_id', 'agent_name'] -%}
    {%- elif stream == 'agent_types' -%}
        {%- set contents = ['agent_type_name', 'model'] -%}
    {%- elif stream == 'agent_usage_events' -%}
        {%- set recorded_at = 'received_at' -%}
        {%- set tokens = ['output_tokens', 'input_tokens'] -%}
        {%- set contents = [
            'agent_id', 'agent_type_id', "nullif(model_used, 'unknown')", 'input_tokens',
            'output_tokens', 'response_time_ms', 'is_total_mismatch', 'occurred_at',
        ] -%}
    {%- elif stream == 'audit_events' -%}
        {%- set recorded_at = 'received_at' -%}
        {%- set contents = [
            'agent_id', 'agent_type_id', 'event_id', share_as_text('toxicity_score'), 'is_toxic',
            entity_counts_as_text('pii_redactions'), 'occurred_at',
        ] -%}
    {%- elif stream == 'feedback_events' -%}
        {%- set recorded_at = 'received_at' -%}
        {%- set contents = [
            'agent_id', 'agent_type_id', 'rating', 'running_instances', 'occurred_at',
        ] -%}
    {%- endif -%}
    {{ recorded_at }} desc nulls last,
    {%- for count in tokens %}
            {{ count }} desc,
    {%- endfor %}
            {% for content in contents + added -%}
            case when {{ content }} is null then 1 else 0 end{{ ' + ' if not loop.last }}
            {%- endfor %},
            {{ content_hash(contents, added) }} desc
{%- endmacro %}
