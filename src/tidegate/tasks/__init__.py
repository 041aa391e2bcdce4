"""What joins the rooms: from a source to a kept model, and from there to scores and forecasts."""
