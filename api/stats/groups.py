"""What a row of a list is about, as its first fields say it."""

from pydantic import BaseModel, Field


class AgentGroup(BaseModel):
    """An agent with a message."""

    agent_id: int = Field(description="Id of the agent.", examples=[42])
    agent_name: str = Field(
        description="Newest name; `Agent 42` if it has none.", examples=["Support Bot"]
    )


class ModelGroup(BaseModel):
    """A model with a message."""

    model: str = Field(
        description="Name of the model; `unknown` if the events have none.",
        examples=["claude-sonnet-4"],
    )


class AgentTypeGroup(BaseModel):
    """An agent type."""

    agent_type_id: int = Field(description="Id of the agent type.", examples=[5])
    agent_type_name: str = Field(
        description="Newest name; `Agent type 5` if it has none.", examples=["Customer Support"]
    )
