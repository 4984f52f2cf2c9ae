// Uploads to the input container become calls of the function app, or messages in a queue that it reads. Deployed by
// scripts/hooks/postdeploy.sh after the code, because the key of the webhook exists only once the app has started with its
// blob trigger. The key is read here, by the deployment engine: no shell, log or azd environment ever holds it.
param name string
param topicName string
param functionAppName string
param functionAppGroupName string
param storageAccountName string
param storageAccountGroupName string
param inputContainer string
param deadLetterContainer string
@description('Empty: the webhook of the function app. Else a queue of the account, into which the topic\'s identity may send.')
param uploadsQueue string = ''
@description('The account has a hierarchical namespace: uploads end over SFTP and by new names as well.')
param hierarchical bool = false
@description('Name of the function with the blob trigger.')
param functionName string = 'on_upload'

var byQueue = !empty(uploadsQueue)
// A blob that gets a new name, or lies in a folder that does, raises no BlobCreated. The blob trigger's webhook knows that
// event alone: without the queue the sweep finds such uploads.
var renames = hierarchical && byQueue

resource app 'Microsoft.Web/sites@2023-12-01' existing = {
  name: functionAppName
  scope: resourceGroup(functionAppGroupName)
}

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: storageAccountName
  scope: resourceGroup(storageAccountGroupName)
}

resource topic 'Microsoft.EventGrid/systemTopics@2022-06-15' existing = {
  name: topicName
}

resource subscriptionOfUploads 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2022-06-15' = {
  parent: topic
  name: name
  properties: {
    destination: byQueue ? null : {
      endpointType: 'WebHook'
      properties: {
        endpointUrl: 'https://${app.properties.defaultHostName}/runtime/webhooks/blobs?functionName=Host.Functions.${functionName}&code=${listKeys('${app.id}/host/default', '2023-12-01').systemKeys.blobs_extension}'
        maxEventsPerBatch: 1
      }
    }
    deliveryWithResourceIdentity: byQueue ? {
      identity: { type: 'SystemAssigned' }
      destination: {
        endpointType: 'StorageQueue'
        properties: {
          resourceId: account.id
          queueName: uploadsQueue
          queueMessageTimeToLiveInSeconds: -1 // a message that expired would be found by the sweep alone
        }
      }
    } : null
    filter: {
      includedEventTypes: concat(
        ['Microsoft.Storage.BlobCreated'],
        renames ? ['Microsoft.Storage.BlobRenamed', 'Microsoft.Storage.DirectoryRenamed'] : []
      )
      // with the last slash: without it `input-archive` would match as well
      subjectBeginsWith: '/blobServices/default/containers/${inputContainer}/blobs/'
      advancedFilters: [
        {
          operatorType: 'StringIn' // one event per upload, when it is whole
          key: 'data.api'
          values: concat(
            ['CopyBlob', 'PutBlob', 'PutBlockList', 'FlushWithClose'],
            hierarchical ? ['SftpCommit'] : [],
            renames ? ['RenameFile', 'RenameDirectory', 'SftpRename'] : []
          )
        }
      ]
    }
    eventDeliverySchema: 'EventGridSchema'
    retryPolicy: { maxDeliveryAttempts: 30, eventTimeToLiveInMinutes: 1440 }
    // A webhook that answers 401 or 403 is not tried again: without this the event would be gone.
    deadLetterWithResourceIdentity: {
      identity: { type: 'SystemAssigned' }
      deadLetterDestination: {
        endpointType: 'StorageBlob'
        properties: { resourceId: account.id, blobContainerName: deadLetterContainer }
      }
    }
  }
}
