"""Event streams: one poller per process, one stream per listener, downsampling for charts."""
