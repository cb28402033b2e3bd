{# Which version of a row counts: the one rule, for events and for reference rows. It is an ORDER BY
   of which the first row counts: the version recorded last; of those recorded at the same time one
   that withdraws the event, if there is one (what it withdraws is then counted nowhere); else the one
   that says most, which is the one with most tokens, then with the fewest nulls (attributes are
   not counted); and at last the one whose content has the greater hash, so that the order in which
   they came does not matter. `added` and `beside` are what a stream was given later.

   Rendered by dbt, and with bare Jinja by retention, which must know a customer by the same row. #}
{% macro newest_first(stream) -%}
    {%- set recorded_at = 'updated_at' -%}
    {%- set tokens = [] -%}
    {%- set added = {} -%}
    {%- set beside = {} -%}
    {%- if stream == 'customers' -%}
        {%- set contents = ['customer_name', 'tier', 'retention_days'] -%}
        {%- set added = {'created_at': 'created_at', 'time_zone': 'time_zone'} -%}
    {%- elif stream == 'tiers' -%}
        {%- set contents = [
            'retention_days', 'default_retention_days', 'max_retention_days', 'daily_token_budget',
            'requests_per_minute', 'max_running_agents', 'agent_hour_usd',
        ] -%}
    {%- elif stream == 'legal_holds' -%}
        {%- set contents = ['hold_from', 'released'] -%}
    {%- elif stream == 'prices' -%}
        {%- set contents = ['usd_per_million', 'valid_to'] -%}
    {%- elif stream == 'model_aliases' -%}
        {%- set contents = ['priced_as'] -%}
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
        {%- for column in [
            'cache_read_input_tokens', 'cache_write_input_tokens', 'cache_write_1h_input_tokens',
            'audio_input_tokens', 'image_input_tokens', 'cache_read_audio_input_tokens',
            'cache_read_image_input_tokens', 'reasoning_output_tokens', 'audio_output_tokens',
            'image_output_tokens', 'input_includes_cache', 'model_requests', 'provider',
            'reported_cost_usd', 'error_type', 'time_to_first_token_ms', 'tool_calls',
            'session_id', 'end_user_id',
        ] -%}
            {%- set _ = added.update({column: column}) -%}
        {%- endfor -%}
        {%- set _ = added.update({'processing': "nullif(processing, 'standard')"}) -%}
        {%- set beside = {'attributes': entries_as_text('attributes')} -%}
    {%- elif stream == 'audit_events' -%}
        {%- set recorded_at = 'received_at' -%}
        {%- set contents = [
            'agent_id', 'agent_type_id', 'event_id', share_as_text('toxicity_score'), 'is_toxic',
            entries_as_text('pii_redactions'), 'occurred_at',
        ] -%}
        {%- set added = {'model_used': 'model_used'} -%}
    {%- elif stream == 'feedback_events' -%}
        {%- set recorded_at = 'received_at' -%}
        {%- set contents = [
            'agent_id', 'agent_type_id', 'rating', 'running_instances', 'occurred_at',
        ] -%}
        {%- set added = {
            'event_id': 'event_id', 'model_used': "nullif(model_used, 'unknown')",
        } -%}
    {%- endif -%}
    {{ recorded_at }} desc nulls last,
    {%- if recorded_at == 'received_at' %}
            case when deleted then 0 else 1 end,
    {%- endif %}
    {%- for count in tokens %}
            {{ count }} desc,
    {%- endfor %}
            {% for content in contents + added.values() | list -%}
            case when {{ content }} is null then 1 else 0 end{{ ' + ' if not loop.last }}
            {%- endfor %},
            {{ content_hash(contents, dict(added, **beside)) }} desc
{%- endmacro %}
