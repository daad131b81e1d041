-- Every tenth request of the thread ends its connection.
local keep, close
local count = 0

function init(args)
   keep = wrk.format()
   wrk.headers["Connection"] = "close"
   close = wrk.format()
end

function request()
   count = count + 1
   if count % 10 == 0 then
      return close
   end
   return keep
end
