{# The start of the UTC quarter hour that holds an instant. #}
{% macro quarter_hour(instant) %}
    {{- return(adapter.dispatch('quarter_hour')(instant)) -}}
{% endmacro %}
