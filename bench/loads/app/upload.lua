-- POST with 20 MiB: what wrk reads is its measure, so the content is made here.
local text

function init()
  wrk.headers["Content-Type"] = "application/octet-stream"
  text = wrk.format("POST", nil, nil, string.rep("x", 20 * 1024 * 1024))
end

function request()
  return text
end
