//! The networks, on candle, and their weights.
